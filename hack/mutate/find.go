package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// finder collects the mutants of one file.
type finder struct {
	*source
	file *file
	out  []*mutant
	// around are the nodes that contain the current one, outermost first.
	around []ast.Node
}

// find returns the mutants of the package, numbered.
func find(s *source) []*mutant {
	var all []*mutant
	for _, file := range s.files {
		if ast.IsGenerated(file.tree) {
			continue
		}
		f := &finder{source: s, file: file}
		ast.PreorderStack(file.tree, nil, func(n ast.Node, around []ast.Node) bool {
			f.around = around
			return f.visit(n)
		})
		all = append(all, f.out...)
	}
	number(all)
	return all
}

// visit adds the mutants of a node and reports whether its children may have any.
func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		if n.Tok == token.CONST {
			f.constants(n)
		}
		return n.Tok == token.VAR
	case *ast.ArrayType, *ast.FuncType, *ast.Comment, *ast.CommentGroup:
		return false
	case *ast.CallExpr:
		return f.call(n)
	case *ast.CompositeLit:
		f.fields(n)
	case *ast.BinaryExpr:
		return f.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT && !f.inCondition() {
			f.negate(n)
		}
	case *ast.BasicLit:
		f.literal(n)
	case *ast.Ident:
		f.boolean(n)
	case *ast.IfStmt:
		f.condition(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			f.always(n.Cond, false)
		}
		f.loop(n.Body)
	case *ast.RangeStmt:
		f.loop(n.Body)
	case *ast.CaseClause:
		f.clause(n)
	case *ast.ReturnStmt:
		f.results(n)
	case ast.Stmt:
		f.statement(n)
	}
	return true
}

func (f *finder) parent() ast.Node {
	for _, n := range slices.Backward(f.around) {
		if _, paren := n.(*ast.ParenExpr); !paren {
			return n
		}
	}
	return nil
}

// code returns the text of a node.
func (f *finder) code(n ast.Node) string { return string(f.file.text[f.at(n.Pos()):f.at(n.End())]) }

func (f *finder) at(p token.Pos) int { return f.fset.Position(p).Offset }

// add appends a mutant that replaces the node n.
func (f *finder) add(n ast.Node, change, plain string, guard func(on, inner string) string) {
	f.insert(n.Pos(), n.End(), change, plain, guard)
	if within := f.within(n); within != change {
		f.out[len(f.out)-1].within = within
	}
}

// insert appends a mutant that replaces the text between two positions.
func (f *finder) insert(from, to token.Pos, change, plain string, guard func(on, inner string) string) {
	f.out = append(f.out, &mutant{
		file: f.file, line: f.fset.Position(from).Line, function: f.function(), change: oneLine(change),
		start: f.at(from), end: f.at(to), plain: plain, guard: guard,
	})
}

// function names what the node is in.
func (f *finder) function() string {
	for _, n := range f.around {
		switch n := n.(type) {
		case *ast.FuncDecl:
			name := n.Name.Name
			if n.Recv != nil {
				t := n.Recv.List[0].Type
				if star, ok := t.(*ast.StarExpr); ok {
					t = star.X
				}
				name = f.code(t) + "." + name
			}
			return name
		case *ast.ValueSpec:
			return n.Names[0].Name
		}
	}
	return f.file.name
}

// within returns the statement that a node is in, without the blocks in it.
func (f *finder) within(n ast.Node) string {
	for i := len(f.around); i > 0; i-- {
		from, to := f.around[i-1].Pos(), f.around[i-1].End()
		switch a := f.around[i-1].(type) {
		case *ast.IfStmt:
			to = a.Body.Lbrace
		case *ast.ForStmt:
			to = a.Body.Lbrace
		case *ast.RangeStmt:
			to = a.Body.Lbrace
		case *ast.SwitchStmt:
			to = a.Body.Lbrace
		case *ast.CaseClause:
			to = a.Colon
		case *ast.ReturnStmt, *ast.AssignStmt, *ast.ExprStmt, *ast.ValueSpec, *ast.KeyValueExpr, *ast.DeferStmt, *ast.SendStmt:
		case *ast.FuncDecl, *ast.FuncLit, *ast.BlockStmt:
			return ""
		default:
			continue
		}
		if from == n.Pos() && to == n.End() {
			continue
		}
		return oneLine(string(f.file.text[f.at(from):f.at(to)]))
	}
	return ""
}

// typeName returns how the file spells a type, or "" if it cannot.
func (f *finder) typeName(t types.Type) string {
	if t == nil {
		return ""
	}
	if b, ok := t.(*types.Basic); ok && (b.Info()&types.IsUntyped != 0 || b.Kind() == types.Invalid) {
		return ""
	}
	nameable := true
	name := types.TypeString(t, func(p *types.Package) string {
		if p == f.pkg {
			return ""
		}
		for _, spec := range f.file.tree.Imports {
			if strings.Trim(spec.Path.Value, `"`) != p.Path() {
				continue
			}
			if spec.Name != nil {
				return spec.Name.Name
			}
			return p.Name()
		}
		nameable = false
		return ""
	})
	if !nameable {
		return ""
	}
	return name
}

func (f *finder) typeOf(e ast.Expr) types.Type { return f.info.TypeOf(e) }

func (f *finder) isConstant(e ast.Expr) bool { return f.info.Types[e].Value != nil }

func isBool(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0
}

func isNumber(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsNumeric != 0
}

func isDuration(t types.Type) bool {
	n, ok := t.(*types.Named)
	return ok && n.Obj().Name() == "Duration" && n.Obj().Pkg().Path() == "time"
}
