package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport says, for each folder of ours, which others of ours its production code may import. A trailing /... covers folders below. The
// longest matching entry counts. What is not listed may import nothing of ours.
var mayImport = map[string][]string{
	"mqtt/packet":           {},
	"mqtt/topic":            {},
	"mqtt/session":          {"mqtt/packet", "mqtt/topic"},
	"mqtt/transport":        {"mqtt/packet"},
	"mqtt/mqtttest":         {"mqtt/packet", "mqtt/topic"},
	"amqp":                  {"amqp/message"},
	"amqp/message":          {},
	"amqp/wire":             {"amqp/message"},
	"amqp/embedded":         {"amqp/..."},
	"amqp/...":              {"amqp/..."},
	"mapping":               {"mapping/failure", "mqtt/packet", "mqtt/topic", "amqp/message"},
	"mapping/failure":       {"mqtt/packet"},
	"mapping/rules":         {"mapping", "mqtt/packet", "mqtt/topic", "amqp/message"},
	"mapping/rules/explain": {"mapping", "mapping/rules", "mqtt/packet", "mqtt/topic", "amqp/message"},
	"sessionstore":          {},
	"sessionstore/...":      {"sessionstore"},
	"gateway/bridge":        {"mqtt/packet", "mqtt/topic", "mqtt/session", "mapping", "mapping/failure", "mapping/rules", "amqp/message"},
	"gateway/reload":        {},
	"gateway/secure":        {"gateway/reload"},
	"gateway/access":        {},
	"gateway/heap":          {},
	"gateway/auth":          {"gateway/access"},
	"gateway/auth/...":      {"gateway/access", "gateway/auth", "gateway/reload"},
	"gateway/permit":        {"gateway/access", "mqtt/packet", "mqtt/topic"},
	"gateway/quota":         {"gateway/reload"},
	"gateway/clientid":      {},
	"gateway/adminport":     {"gateway/reload"},
	"gateway/config":        {"amqp/topology", "gateway/clientid", "gateway/quota", "mapping", "mapping/rules"},
	"gateway/events":        {"amqp/message", "mapping/failure", "mqtt/packet"},
	"gateway/tracing":       {"gateway/bridge"},
	"gateway/records":       {"gateway/access", "mqtt/packet", "mqtt/session", "sessionstore"},
	"gateway/e2e/...":       {"amqp/...", "gateway/...", "mapping", "mqtt/...", "sessionstore/..."},
	"gateway/sim":           {"amqp", "amqp/message", "gateway/bridge", "gateway/records", "mapping", "mapping/failure", "mqtt/packet", "mqtt/session", "mqtt/topic", "sessionstore", "sessionstore/memory"},
	"gateway/node":          {"amqp/...", "gateway", "gateway/...", "mqtt/...", "sessionstore", "sessionstore/..."},
	"gateway":               {"amqp", "amqp/message", "gateway/access", "gateway/auth", "gateway/clientid", "gateway/permit", "gateway/quota", "gateway/bridge", "gateway/secure", "gateway/events", "gateway/records", "gateway/tracing", "mapping", "mapping/failure", "mapping/rules", "mapping/rules/explain", "mqtt/packet", "mqtt/topic", "mqtt/session", "mqtt/transport", "sessionstore"},
	"cmd/sluice":            {"amqp", "amqp/message", "amqp/client", "gateway/adminport", "gateway/auth/password", "gateway/config", "gateway/heap", "gateway/node", "gateway/permit", "gateway/secure", "mapping", "mapping/rules/explain", "mqtt/packet", "mqtt/topic", "mqtt/transport"},
	"sessionstore/redis":    {"sessionstore"},
	"sessionstore/memory":   {"sessionstore"},
	"amqp/frame":            {"amqp/wire", "amqp/message"},
	"amqp/embedded/queues":  {"amqp/..."},
	"bench":                 {"bench/crowd", "bench/report", "bench/suite"},
	"bench/suite":           {"amqp", "amqp/client", "bench/crowd", "bench/load", "bench/proc", "bench/report", "mqtt/packet"},
	"bench/crowd":           {"bench/load", "mqtt/packet"},
	"bench/load":            {"mqtt/packet"},
	"bench/proc":            {},
	"bench/report":          {},
}

// pure are the folders without goroutines, clocks, randomness, locks and I/O: time comes in as an argument.
var pure = []string{"mqtt/packet", "mqtt/topic", "mqtt/session", "amqp/message", "amqp/wire", "amqp/frame", "amqp/embedded/endpoint", "mapping", "mapping/failure", "mapping/rules", "mapping/rules/explain", "gateway/bridge", "gateway/events", "gateway/permit", "gateway/records"}

// impure are packages that pure code must not import directly. mqtt/topic's trie may lock, and packet's Reader may read: see allowed.
var impure = []string{"net", "os", "sync", "sync/atomic", "context", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "io", "bufio", "os/exec", "go.uber.org/zap"}

// allowed are the exceptions, each with its reason.
var allowed = map[string]string{
	"mqtt/topic sync":        "the trie's writers take turns; matching takes no lock",
	"mqtt/topic sync/atomic": "the trie's root is replaced in one step",
	"mqtt/packet bufio":      "as io",
	"mqtt/packet io":         "Reader cuts a stream into packets; it takes an io.Reader and owns no connection",
	"gateway/permit io":      "io.EOF says that a file has no second document; it is read elsewhere",
}

// clock are the functions of package time that look at the clock or wait.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}

type source struct {
	dir     string
	name    string
	file    *ast.File
	imports []string
}

// sources parses the production code of the module.
func sources(t *testing.T) []source {
	t.Helper()
	return parse(t, func(name string) bool { return !strings.HasSuffix(name, "_test.go") })
}

// parse parses the Go files of the module that want takes.
func parse(t *testing.T, want func(name string) bool) []source {
	t.Helper()
	root := ".."
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") || !want(p) {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		s := source{dir: path.Dir(filepath.ToSlash(rel)), name: filepath.ToSlash(rel), file: f}
		for _, i := range f.Imports {
			name, _ := strconv.Unquote(i.Path.Value)
			s.imports = append(s.imports, name)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rule gives the entry of mayImport for a folder.
func rule(dir string) (entry string, targets []string) {
	for name, list := range mayImport {
		prefix, below := strings.CutSuffix(name, "/...")
		if (name == dir || below && strings.HasPrefix(dir, prefix+"/")) && len(name) > len(entry) {
			entry, targets = name, list
		}
	}
	if list, exact := mayImport[dir]; exact {
		return dir, list
	}
	return entry, targets
}

func permits(targets []string, imported string) bool {
	return slices.ContainsFunc(targets, func(t string) bool {
		prefix, below := strings.CutSuffix(t, "/...")
		return t == imported || below && (imported == prefix || strings.HasPrefix(imported, prefix+"/"))
	})
}

func TestImportsRunOneWay(t *testing.T) {
	seen := 0
	for _, s := range sources(t) {
		entry, targets := rule(s.dir)
		for _, i := range s.imports {
			ours, ok := strings.CutPrefix(i, "sluice/")
			if !ok {
				continue
			}
			seen++
			if !permits(targets, ours) {
				t.Errorf("%s imports %s; the rule for %q allows %v", s.name, ours, entry, targets)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d imports of ours were seen: this test is blind", seen)
	}
}

func TestPureFoldersAreFreeOfIO(t *testing.T) {
	seen := map[string]int{}
	for _, s := range sources(t) {
		if !slices.Contains(pure, s.dir) {
			continue
		}
		seen[s.dir]++
		for _, i := range s.imports {
			if slices.Contains(impure, i) && allowed[s.dir+" "+i] == "" {
				t.Errorf("%s is in a pure folder and imports %s", s.name, i)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s is in a pure folder and starts a goroutine", s.name)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
					t.Errorf("%s is in a pure folder and calls time.%s", s.name, n.Sel.Name)
				}
			}
			return true
		})
	}
	for _, dir := range pure {
		if seen[dir] == 0 {
			t.Errorf("no file seen in %s: this test is blind", dir)
		}
	}
}

// filesMax is the length beyond which a file is no longer one idea.
const filesMax = 600

func TestFilesStayShort(t *testing.T) {
	for _, s := range sources(t) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join("..", s.name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if lines := fset.Position(f.End()).Line; lines > filesMax {
			t.Errorf("%s has %d lines, more than %d: split it by idea", s.name, lines, filesMax)
		}
	}
}

// inBubbles are test files whose bubble is begun by a helper of their package.
var inBubbles = []string{"gateway/adminidentity_test.go", "gateway/clients_test.go", "gateway/faultdevice_test.go", "gateway/silent_test.go", "gateway/quotas_test.go"}

// A test waits for an event, or polls with a deadline. It may sleep in a bubble of testing/synctest only, where that takes no time and is exact.
func TestOnlyBubblesSleep(t *testing.T) {
	tests := parse(t, func(name string) bool {
		return strings.HasSuffix(name, "_test.go") || strings.Contains(name, "test/") || strings.Contains(name, "e2e/")
	})
	for _, s := range tests {
		if slices.Contains(s.imports, "testing/synctest") || slices.Contains(inBubbles, s.name) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s sleeps, and is in no bubble: wait for an event, or poll with a deadline", s.name)
				}
			}
			return true
		})
	}
	if len(tests) < 300 {
		t.Errorf("%d files were looked at: too few to be all", len(tests))
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	docs := map[string]bool{}
	for _, s := range sources(t) {
		if s.file.Name.Name == "main" {
			continue
		}
		docs[s.dir] = docs[s.dir] || path.Base(s.name) == "doc.go" && s.file.Doc != nil
	}
	for dir, ok := range docs {
		if !ok {
			t.Errorf("%s has no doc.go with a package comment", dir)
		}
	}
}
