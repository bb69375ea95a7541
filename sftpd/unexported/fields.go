package unexported

import (
	"reflect"
	"unsafe"

	"golang.org/x/crypto/ssh"
)

// hidden returns a field of the transport of a connection, the zero value if there is none.
func hidden[T any](peer ssh.ConnMetadata, name string) T {
	at := address(field(field(reflect.ValueOf(peer), "transport"), name))
	if !at.IsValid() {
		var none T
		return none
	}
	v, _ := reflect.TypeAssert[T](at.Elem())
	return v
}

// address returns a pointer to a field, through which it can be used although it is
// unexported. It is invalid for a missing field.
func address(f reflect.Value) reflect.Value {
	if !f.IsValid() || !f.CanAddr() {
		return reflect.Value{}
	}
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())) //nolint:gosec // see the package comment
}

// field returns a field of what v points to, invalid if there is none.
func field(v reflect.Value, name string) reflect.Value {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.Elem().FieldByName(name)
}
