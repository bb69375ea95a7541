package olm

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"sigs.k8s.io/yaml"
)

// csvSchema is the schema of v1alpha1 in crds/operators.coreos.com_clusterserviceversions.yaml of
// github.com/operator-framework/api v0.45.0 (Apache-2.0), without its descriptions.
//
//go:embed clusterserviceversion.schema.json
var csvSchema []byte

// conforms returns what the API server of a cluster with the Operator Lifecycle Manager would refuse in a ClusterServiceVersion, or
// silently drop from it.
func conforms(csv []byte) error {
	var external apiextensionsv1.JSONSchemaProps
	if err := json.Unmarshal(csvSchema, &external); err != nil {
		return fmt.Errorf("schema of ClusterServiceVersions: %w", err)
	}
	var schema apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&external, &schema, nil); err != nil {
		return err
	}
	structural, err := structuralschema.NewStructural(&schema)
	if err != nil {
		return err
	}
	validator, _, err := validation.NewSchemaValidator(&schema)
	if err != nil {
		return err
	}
	var object map[string]any
	if err := yaml.UnmarshalStrict(csv, &object); err != nil {
		return err
	}
	var errs []error
	for _, field := range pruning.PruneWithOptions(object, structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		errs = append(errs, fmt.Errorf("ClusterServiceVersion: unknown field %q", field))
	}
	for _, e := range validation.ValidateCustomResource(nil, object, validator) {
		errs = append(errs, fmt.Errorf("ClusterServiceVersion: %w", e))
	}
	return errors.Join(errs...)
}
