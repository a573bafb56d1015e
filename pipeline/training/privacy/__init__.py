"""Private training by DP-SGD: rows drawn by chance, gradients of single rows clipped, noise, the account."""
