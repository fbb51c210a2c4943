"""What is measured, a case a file. Each returns plain JSON: rows of figures, with a value for every round."""
