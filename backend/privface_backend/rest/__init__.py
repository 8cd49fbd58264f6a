"""REST and the websocket: one module a resource."""
