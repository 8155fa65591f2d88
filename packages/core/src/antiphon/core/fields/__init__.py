"""Field values: text to value and back, one module a family of fields."""
