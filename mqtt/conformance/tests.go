package conformance

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Tests finds tests by their source, below the root of a module.
type Tests struct {
	root, module string
	packages     map[string]*testPackage
}

// NewTests looks for the packages of module in the folder root.
func NewTests(root, module string) *Tests {
	return &Tests{root: root, module: module, packages: map[string]*testPackage{}}
}

// testPackage is what the test files of a folder say, and the test libraries of ours that they import.
type testPackage struct {
	funcs    map[string][]*function // by name; methods of several types may share one
	literals map[string]bool        // every string in the source
}

type function struct {
	isTest      bool
	file        string
	constrained bool            // its file is not built everywhere
	calls       map[string]bool // names of what it calls
	skips       bool            // it calls Skip, or asks whether the run is a short one
}

// Check reports what is wrong with a proof: no such test, no such case, or a test that need not run.
func (t *Tests) Check(p Proof) error {
	pkg, err := t.load(p.Package)
	if err != nil {
		return err
	}
	test := pkg.test(p.Test)
	if test == nil {
		return fmt.Errorf("%s has no test %s", p.Package, p.Test)
	}
	if test.constrained {
		return fmt.Errorf("%s of %s is in %s, which has a build constraint: it may not run", p.Test, p.Package, test.file)
	}
	if by := pkg.skipper(p.Test, map[string]bool{}); by != "" {
		return fmt.Errorf("%s of %s may be skipped, by %s", p.Test, p.Package, by)
	}
	for _, c := range p.Cases {
		if !pkg.literals[c] && !t.isFile(p.Package, c) {
			return fmt.Errorf("%s of %s has no case %q: no string of its source, no file testdata/%s.txt", p.Test, p.Package, c, c)
		}
	}
	return nil
}

func (t *Tests) isFile(pkg, name string) bool {
	info, err := os.Stat(filepath.Join(t.root, pkg, "testdata", name+".txt"))
	return err == nil && info.Mode().IsRegular()
}

func (p *testPackage) test(name string) *function {
	for _, f := range p.funcs[name] {
		if f.isTest {
			return f
		}
	}
	return nil
}

// skipper follows calls by name, so it may go too far but not stop short: a name that several functions have stands for all of them.
func (p *testPackage) skipper(name string, seen map[string]bool) string {
	if seen[name] {
		return ""
	}
	seen[name] = true
	for _, f := range p.funcs[name] {
		if f.skips {
			return name
		}
		for called := range f.calls {
			if by := p.skipper(called, seen); by != "" {
				return by
			}
		}
	}
	return ""
}

func (t *Tests) load(dir string) (*testPackage, error) {
	if p := t.packages[dir]; p != nil {
		return p, nil
	}
	p := &testPackage{funcs: map[string][]*function{}, literals: map[string]bool{}}
	imports, err := t.read(p, dir, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	if err != nil {
		return nil, err
	}
	if len(p.funcs) == 0 {
		return nil, fmt.Errorf("%s has no tests", dir)
	}
	seen := map[string]bool{dir: true}
	for len(imports) > 0 {
		lib := imports[0]
		imports = imports[1:]
		if seen[lib] || !t.isTestLibrary(lib) {
			continue
		}
		seen[lib] = true
		more, err := t.read(p, lib, func(name string) bool { return !strings.HasSuffix(name, "_test.go") })
		if err != nil {
			return nil, err
		}
		imports = append(imports, more...)
	}
	t.packages[dir] = p
	return p, nil
}

// isTestLibrary reports whether a package is made for tests: its source imports testing.
func (t *Tests) isTestLibrary(dir string) bool {
	imports, err := t.imports(dir)
	return err == nil && imports["testing"]
}

func (t *Tests) imports(dir string) (map[string]bool, error) {
	all := map[string]bool{}
	err := t.eachFile(dir, func(name string) bool { return !strings.HasSuffix(name, "_test.go") }, parser.ImportsOnly, func(_ string, f *ast.File) {
		for _, i := range f.Imports {
			if name, err := strconv.Unquote(i.Path.Value); err == nil {
				all[name] = true
			}
		}
	})
	return all, err
}

// read adds the files of a folder to p and gives the folders of ours that they import.
func (t *Tests) read(p *testPackage, dir string, wanted func(string) bool) (imports []string, err error) {
	err = t.eachFile(dir, wanted, parser.ParseComments|parser.SkipObjectResolution, func(name string, f *ast.File) {
		for _, i := range f.Imports {
			target, _ := strconv.Unquote(i.Path.Value)
			if below, ours := strings.CutPrefix(target, t.module+"/"); ours {
				imports = append(imports, below)
			}
		}
		p.add(path.Join(dir, name), f)
	})
	return imports, err
}

func (t *Tests) eachFile(dir string, wanted func(string) bool, mode parser.Mode, do func(name string, f *ast.File)) error {
	entries, err := os.ReadDir(filepath.Join(t.root, dir))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no package %s", dir)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || !wanted(e.Name()) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(t.root, dir, e.Name()), nil, mode)
		if err != nil {
			return err
		}
		do(e.Name(), f)
	}
	return nil
}

func (p *testPackage) add(file string, f *ast.File) {
	constrained := isConstrained(f)
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				p.literals[s] = true
			}
		}
		return true
	})
	for _, d := range f.Decls {
		decl, ok := d.(*ast.FuncDecl)
		if !ok || decl.Body == nil {
			continue
		}
		fn := &function{isTest: isTest(decl), file: file, constrained: constrained, calls: map[string]bool{}}
		ast.Inspect(decl.Body, fn.visit)
		p.funcs[decl.Name.Name] = append(p.funcs[decl.Name.Name], fn)
	}
}

// isConstrained reports whether a file has a build constraint; one of the file's name counts as none, as a test file has none that matters.
func isConstrained(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if group.Pos() < f.Package && constraint.IsGoBuild(c.Text) {
				return true
			}
		}
	}
	return false
}

// isTest: a function that go test runs.
func isTest(d *ast.FuncDecl) bool {
	rest, ok := strings.CutPrefix(d.Name.Name, "Test")
	if !ok || d.Recv != nil || len(d.Type.Params.List) != 1 || rest != "" && rest[0] >= 'a' && rest[0] <= 'z' || d.Name.Name == "TestMain" {
		return false
	}
	star, ok := d.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "T"
}

// visit notes what a function calls or refers to: a function that is passed on is called by somebody.
func (f *function) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.Ident:
		f.calls[n.Name] = true
	case *ast.SelectorExpr:
		f.calls[n.Sel.Name] = true
		f.skips = f.skips || isSkip(n)
	}
	return true
}

// isSkip knows t.Skip and its like, on whatever stands for the test, and testing.Short.
func isSkip(s *ast.SelectorExpr) bool {
	var on string
	switch x := s.X.(type) {
	case *ast.Ident:
		on = x.Name
	case *ast.SelectorExpr:
		on = x.Sel.Name
	case *ast.CallExpr:
		on = "t" // t.T().Skip and the like: nobody knows
	}
	switch s.Sel.Name {
	case "Skip", "Skipf", "SkipNow":
		return on == "t" || on == "tb" || on == "b" || on == "T" || on == "TB"
	case "Short":
		return on == "testing"
	}
	return false
}
