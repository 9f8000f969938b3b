// Package conformance holds the clause table: every numbered statement of MQTT 5.0 and of MQTT 3.1.1 ([MQTT-x.y.z-n]) with what proves it here.
//
// The tables are text, one block a statement, made to be read and reviewed:
//
//	statements-5.0.txt, statements-3.1.1.txt   what each statement asks in our words, and its proof
//	ids-5.0.txt, ids-3.1.1.txt                 the numbers alone, complete, so that a forgotten statement shows
//
// A block is a line with the number and the paraphrase, and indented lines below it:
//
//	3.1.2-22 Silence for one and a half times the Keep Alive ends the connection.
//		test mqtt/session TestScripts: keepalive; keepalive_stood_still
//		test gateway/e2e TestKeepAlive
//
// The words that may begin an indented line:
//
//	test PACKAGE TEST[: CASE; CASE]   a test that fails if the gateway breaks the rule, and the cases of it that do
//	client REASON                     only a device is bound; tests, if any, show what the gateway does when the device breaks the rule
//	exempt REASON                     a server is bound, but not by what this one does
//	pending FEATURE                   not there yet, or known to be broken: for a change under way, since it fails
//	as NUMBER                         3.1.1 only: the 5.0 statement of that number says the same, and its tests prove it for both versions
//
// The tests of this package fail when a statement has no proof and no reason, when a test or a case that is named does not exist or could be
// skipped, when a number is missing in a table or a table has one too many, when the code mentions a statement that does not exist, and when
// docs/conformance.md, which is made of the tables, is out of date. What they cannot see is whether a test proves what the table says: that
// is for who writes the line, and who reviews it.
//
// Nothing of the gateway is imported: tests are found by parsing their source.
package conformance
