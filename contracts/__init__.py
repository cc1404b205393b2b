"""What crosses a wire: frozen msgspec Structs, and the names that both sides must agree on."""
