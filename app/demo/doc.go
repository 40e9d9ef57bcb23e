// Package demo simulates three kitchens, so that a server without an app behind it has something to show.
//
// What takes a kitchen hours takes seconds here, and never ends: batches are planned, prepared, cooked, checked and sent
// off, with temperatures, portions and now and then an alert. The messages are exactly those of the app. All instants in
// them are those of the real clock, so a screen shows them as it would show real ones.
package demo
