// Command manager is the operator. It also checks manifests offline: manager render.
package main

import (
	"fmt"
	"os"
)

// version is set when the binary is built.
var version = "devel"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "render":
			return renderCommand(args[1:])
		case "version":
			fmt.Println(version)
			return nil
		}
	}
	return serve(args)
}
