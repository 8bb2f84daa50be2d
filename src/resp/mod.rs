//! RESP2 and RESP3: bytes in, bytes out.
