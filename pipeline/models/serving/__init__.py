"""What a saved model is asked and what it answers: in a file, in a request, in a process."""
