"""Generated messages and stubs of protos/gaitid/v1; do not edit."""
