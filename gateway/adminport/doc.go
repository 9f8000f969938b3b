// Package adminport stands before the administration port: who may use it, and what a browser may not.
//
// What the port answers is not known here but for which paths are open to everybody. Invariants: without a token or a certificate nobody gets more than
// whether the process lives and whether it is ready; a page in somebody's browser gets nothing, whatever name it was loaded under; tokens are compared in a time that
// says nothing about them, and are never logged; there are never more than ConnectionsMax connections, and those that ask nothing keep nobody out.
package adminport
