"""A verifying AWS: moto with authentication on, behind a gate that checks what moto does not."""
