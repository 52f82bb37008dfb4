"""Core-product detection: where in a picture the product is (methods.md 4.4; docs/crops.md)."""
