package offline

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/config/crd"
)

// schema checks objects of one kind as the API server would.
type schema struct {
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator
}

// schemas has the schemas of all of the operator's kinds. Compiling their rules takes
// longer than most manifests.
var schemas = sync.OnceValues(loadSchemas)

func loadSchemas() (map[string]schema, error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	out := map[string]schema{}
	for _, f := range files {
		data, err := crd.Bases.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var def apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(data, &def); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		s, err := newSchema(def.Spec.Versions[0].Schema)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		out[def.Spec.Names.Kind] = s
	}
	return out, nil
}

func newSchema(v *apiextensionsv1.CustomResourceValidation) (schema, error) {
	var internal apiextensions.CustomResourceValidation
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(v, &internal, nil); err != nil {
		return schema{}, err
	}
	structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return schema{}, err
	}
	validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return schema{}, err
	}
	return schema{structural: structural, validator: validator, rules: cel.NewValidator(structural, true, math.MaxInt64)}, nil
}

// check sets defaults in an object and returns what the API server would refuse.
func (s schema) check(ctx context.Context, obj map[string]any) []string {
	var out []string
	unknown := pruning.PruneWithOptions(obj, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		out = append(out, fmt.Sprintf("unknown field %q", path))
	}
	defaulting.Default(obj, s.structural)
	errs := validation.ValidateCustomResource(nil, obj, s.validator)
	if len(errs) == 0 {
		errs, _ = s.rules.Validate(ctx, nil, s.structural, obj, nil, math.MaxInt64)
	}
	for _, e := range errs {
		out = append(out, readable(e))
	}
	return out
}

// readable returns an error without the value, which may be long.
func readable(e *field.Error) string {
	f := strings.TrimPrefix(e.Field, "<nil>.")
	switch {
	case f == "" || f == "<nil>":
		return e.Detail
	case e.Detail == "":
		return fmt.Sprintf("%s: %s", f, e.Type)
	}
	return fmt.Sprintf("%s: %s", f, e.Detail)
}
