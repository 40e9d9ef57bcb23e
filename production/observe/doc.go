// Package observe keeps what an app publishes by itself about its productions, in the read model of the production service, so that lists,
// snapshots and clocks also work for kitchens whose records are in the app's own database.
//
// What a message means is production.Observe's to say, which never fails: what cannot be right is kept and flagged. This package brings
// the messages there, one after the other for each kitchen, each once, and never holds up the doors that they came through.
package observe
