// Package pages finds the commands in the documentation, and names the test that runs them. The tests take their commands from
// here, so a block that is added to a page is run, or fails the test that reads the table.
package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Root is the top of the repository, from a directory of tests.
const Root = "../.."

// shellBlock is a block of commands, which may be indented in a list.
var shellBlock = regexp.MustCompile("(?ms)^([ \t]*)```sh\n(.*?)\n[ \t]*```$")

// Blocks returns a page's blocks of commands, without their indentation.
func Blocks(page string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(Root, page))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, b := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		out = append(out, strings.ReplaceAll("\n"+b[2], "\n"+b[1], "\n")[1:])
	}
	return out, nil
}

// Command is a part of a block: lines that belong together, such as a loop or a command with a document.
type Command struct {
	Page  string
	Block int // from 1
	Text  string
	// settings are the variables that the page has set before.
	settings []string
}

// Script returns what a shell has to run: the command, after the variables that the page has set before.
func (c Command) Script() string {
	return strings.Join(append(slices.Clone(c.settings), c.Text), "\n")
}

// Where returns a command's page and block, for messages.
func (c Command) Where() string { return fmt.Sprintf("%s, block %d", c.Page, c.Block) }

// Commands returns the commands of a page that a test runs, in order.
func Commands(page string, by Runner) ([]Command, error) {
	blocks, err := Blocks(page)
	if err != nil {
		return nil, err
	}
	var out []Command
	var settings []string
	for i, block := range blocks {
		for _, text := range split(block) {
			if RunnerOf(page, text) != by {
				continue
			}
			out = append(out, Command{Page: page, Block: i + 1, Text: text, settings: slices.Clone(settings)})
			if setting.MatchString(text) {
				settings = append(settings, text)
			}
		}
	}
	return out, nil
}

var (
	document = regexp.MustCompile(`<<-?'?(\w+)'?`)
	opens    = regexp.MustCompile(`^(for|while|if) `)
	oneLine  = regexp.MustCompile(`; ?(done|fi)\b`)
	closes   = regexp.MustCompile(`^(done|fi)\b`)
	setting  = regexp.MustCompile(`^(export )?\w+=`)
)

// split splits a block into commands: lines, with the lines that continue them.
func split(block string) (out []string) {
	var lines []string
	end, documents, depth := "", false, 0
	for line := range strings.SplitSeq(block, "\n") {
		lines = append(lines, line)
		switch {
		case end != "":
			if line == end {
				end = ""
			}
		case opens.MatchString(line):
			if !oneLine.MatchString(line) {
				depth++
			}
		case closes.MatchString(line):
			depth--
		default:
			if m := document.FindStringSubmatch(line); m != nil {
				end, documents = m[1], true
			}
		}
		text := strings.Join(lines, "\n")
		if end != "" || depth > 0 || strings.HasSuffix(line, `\`) || !documents && openQuote(text) {
			continue
		}
		lines, documents = nil, false
		if bare := strings.TrimSpace(text); bare != "" && !strings.HasPrefix(bare, "#") {
			out = append(out, text)
		}
	}
	if len(lines) > 0 {
		out = append(out, strings.Join(lines, "\n"))
	}
	return out
}

// openQuote reports whether a single quote is open at the end of a text, or the last line ends with a pipe. Comments may have
// apostrophes.
func openQuote(text string) bool {
	double, single := false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && !single:
			i++
		case c == '\'' && !double:
			single = !single
		case c == '"' && !single:
			double = !double
		case c == '#' && !single && !double && (i == 0 || text[i-1] == ' ' || text[i-1] == '\n'):
			next := strings.IndexByte(text[i:], '\n')
			if next < 0 {
				return false
			}
			i += next
		}
	}
	return single || strings.HasSuffix(strings.TrimSpace(text), "|")
}
