package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// statement adds the mutant that leaves out a statement.
func (f *finder) statement(n ast.Stmt) {
	switch p := f.parent().(type) {
	case *ast.ForStmt:
		if n == p.Init || n == p.Post {
			return
		}
	case *ast.BlockStmt, *ast.CaseClause:
	default:
		return
	}
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok == token.DEFINE || strings.HasPrefix(f.code(n), "_ ") {
			return
		}
	case *ast.ExprStmt:
		if f.synchronizes(n.X) {
			return
		}
	case *ast.DeferStmt:
		if f.synchronizes(n.Call) {
			return
		}
	case *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt, *ast.BranchStmt:
	default:
		return
	}
	f.add(n, "removed: "+f.code(n), "", func(on, inner string) string {
		return fmt.Sprintf("if !%s { %s }", on, inner)
	})
}

// synchronizes reports whether a call only orders goroutines: its removal is for the race detector, or blocks.
func (f *finder) synchronizes(e ast.Expr) bool {
	c, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	if f.code(c.Fun) == "panic" {
		return true
	}
	s, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch s.Sel.Name {
	case "Lock", "Unlock", "RLock", "RUnlock":
		return true
	}
	return false
}

// loop adds the mutants that end a loop before or after its first turn.
func (f *finder) loop(body *ast.BlockStmt) {
	if len(body.List) == 0 {
		return
	}
	around := f.around
	f.around = slices.Concat(around, []ast.Node{body})
	defer func() { f.around = around }()
	brk := func(on, inner string) string { return inner + " if " + on + " { break }; " }
	head := f.parentHead(body)
	f.insert(body.Lbrace+1, body.Lbrace+1, "the loop does nothing: "+head, " break; ", brk)
	switch body.List[len(body.List)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return
	}
	f.insert(body.Rbrace, body.Rbrace, "the loop ends after its first turn: "+head, "; break ", func(on, inner string) string {
		return inner + "; if " + on + " { break } "
	})
}

// parentHead returns the head of the loop with this body.
func (f *finder) parentHead(body *ast.BlockStmt) string {
	text := f.file.text[:f.at(body.Lbrace)]
	return strings.TrimSpace(string(text[strings.LastIndexByte(string(text), '\n')+1:]))
}

// clause adds the mutants of a case.
func (f *finder) clause(n *ast.CaseClause) {
	around := f.around
	f.around = slices.Concat(around, []ast.Node{n})
	defer func() { f.around = around }()
	if f.tagless() {
		for _, e := range n.List {
			f.condition(e)
		}
		return
	}
	for _, e := range n.List {
		t := f.typeOf(e)
		name := f.typeName(t)
		if b, ok := t.Underlying().(*types.Basic); !ok || b.Info()&types.IsString == 0 || name == "" || f.info.Types[e].IsType() {
			continue
		}
		f.add(e, f.code(e)+" has no case", `"\x00"`, func(on, inner string) string {
			return fmt.Sprintf(`func() %s { if %s { return "\x00" }; return %s }()`, name, on, inner)
		})
	}
	if len(n.Body) == 0 {
		return
	}
	head := strings.TrimSpace(string(f.file.text[f.at(n.Pos()):f.at(n.Colon)]))
	f.insert(n.Colon+1, n.Colon+1, "does nothing: "+head, " break; ", func(on, inner string) string {
		return inner + " if " + on + " { break }; "
	})
}

// results adds the mutants that return something else.
func (f *finder) results(n *ast.ReturnStmt) {
	around := f.around
	f.around = slices.Concat(around, []ast.Node{n})
	defer func() { f.around = around }()
	signature := f.signature()
	if signature == nil {
		return
	}
	results := signature.Results()
	if len(n.Results) != results.Len() {
		if len(n.Results) == 1 {
			f.ignoreError(n, results)
		}
		return
	}
	for i, e := range n.Results {
		t := results.At(i).Type()
		switch x := ast.Unparen(e).(type) {
		case *ast.BinaryExpr:
			if isBool(t) {
				continue // with mutants of its own
			}
		case *ast.UnaryExpr:
			if x.Op == token.NOT {
				continue
			}
		}
		if isBool(t) {
			if !f.isConstant(e) {
				f.negate(e)
			}
			continue
		}
		f.zero(e, t, f.code(e)+" -> zero")
	}
}

// ignoreError adds the mutant that returns what another function returns, but nil for its error.
func (f *finder) ignoreError(n *ast.ReturnStmt, results *types.Tuple) {
	if results.At(results.Len()-1).Type().String() != "error" {
		return
	}
	var names []string
	for i := range results.Len() - 1 {
		names = append(names, fmt.Sprintf("mutant%d", i))
	}
	list := strings.Join(names, ", ")
	plain := fmt.Sprintf("{ %s, _ := %s; return %[1]s, nil }", list, f.code(n.Results[0]))
	f.add(n, "the error is ignored: "+f.code(n), plain, func(on, inner string) string {
		return fmt.Sprintf("{ if %s %s; %s }", on, plain, inner)
	})
}

// signature returns the type of the function that a statement is in.
func (f *finder) signature() *types.Signature {
	for _, around := range slices.Backward(f.around) {
		switch n := around.(type) {
		case *ast.FuncLit:
			s, _ := f.typeOf(n).(*types.Signature)
			return s
		case *ast.FuncDecl:
			s, _ := f.info.Defs[n.Name].Type().(*types.Signature)
			return s
		}
	}
	return nil
}
