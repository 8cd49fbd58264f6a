"""Pictures that come from elsewhere, on their way to the backend."""
