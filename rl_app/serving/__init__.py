"""The HTTP side of ``serve``: requests in, a policy's answers out."""
