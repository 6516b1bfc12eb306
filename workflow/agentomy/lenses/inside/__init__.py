"""What is inside an agent of any library: what its layers hold, what its outputs depend on, what changes them."""
