package command

import (
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

const (
	kindListener = "SFTPListener"
	kindUser     = "SFTPUser"
)

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// names completes the first argument with the names of objects in the namespace.
func (p *plugin) names(kinds ...string) completion {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		out, err := p.namesOf(c, kinds, begun)
		if err != nil {
			// Having nothing to offer is not an error during completion.
			cobra.CompDebugln(err.Error(), false)
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

func (p *plugin) namesOf(c *cobra.Command, kinds []string, begun string) ([]string, error) {
	k, err := p.flags.Connect()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, kind := range kinds {
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
		if err := k.List(c.Context(), &list, client.InNamespace(k.Namespace)); err != nil {
			return nil, err
		}
		for i := range list.Items {
			if name := list.Items[i].GetName(); strings.HasPrefix(name, begun) {
				out = append(out, name)
			}
		}
	}
	return out, nil
}
