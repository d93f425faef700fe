"""The laboratory of the integration tests: networks, nodes and traffic that a test makes itself and that leave nothing behind."""
