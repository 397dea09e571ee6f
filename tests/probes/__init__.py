"""What the tests put into a real worker: kinds whose items say what shall happen to them."""
