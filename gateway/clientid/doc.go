// Package clientid says which client identifiers a principal may use: templates, and identifiers that the server makes to fit them.
//
// Whom an identifier is bound to is not known here: that is the session store's word (sessionstore.BindingStore), which gateway asks. Invariants: what a
// principal's or tenant's name puts into a template is text, whatever is in the name; matching takes a time that grows with the identifier's length only.
package clientid
