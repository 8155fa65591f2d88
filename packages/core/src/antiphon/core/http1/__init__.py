"""HTTP/1.1 (RFC 9112) without input or output."""
