// Package demo lets three kitchens cook, so that a server without an app behind it has something to show.
//
// Their staff is played here; everything else is real. What they do goes through the production service, by its rules and under
// its alerts, into a database and over the relay to the screens. A day's work takes them two minutes, by the real clock, so a
// screen shows it as it would show real work. Now and then something goes wrong: food that is not hot enough and goes back, a rapid
// test that fails, trays that stand too long.
package demo
