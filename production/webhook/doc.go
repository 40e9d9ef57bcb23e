// Package webhook calls people who are at no screen: it delivers production.Notices, one for each time that nobody answered an alert, to
// a URL of the operator's.
//
// A call is a POST of one JSON text, signed as Standard Webhooks describes it (https://www.standardwebhooks.com), for which receivers
// have libraries in most languages:
//
//	webhook-id: alert_1f….2           the same for each try of one notice: a receiver keeps it against doubles
//	webhook-timestamp: 1764136100     seconds; a receiver refuses what is older than a few minutes
//	webhook-signature: v1,BASE64      HMAC-SHA256 of "id.timestamp.body" with the secret
//
// An answer of 2xx settles the notice; everything else, a redirect too, is tried again, later and later, for a day. A notice is
// delivered at least once, by one node at a time.
package webhook
