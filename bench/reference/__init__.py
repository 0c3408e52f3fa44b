"""The frozen reference: what PostgreSQL alone can do, whatever the library above it costs."""
