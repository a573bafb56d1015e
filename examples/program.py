"""Digits as a program that knows nothing of Fulcrum: it prints a line of JSON after each epoch."""

import argparse
import json

import numpy as np
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()

samples, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(samples))
samples, labels = samples[order] / 16, labels[order]
draw = np.random.default_rng(options.seed)
weights, biases = np.zeros((64, 10)), np.zeros(10)
print(json.dumps({"clock": "start"}))  # importing and loading are not to be counted
for epoch in range(1, options.epochs + 1):
    for rows in np.array_split(draw.permutation(1000), 1000 // options.batch):
        logits = samples[rows] @ weights + biases
        shares = np.exp(logits - logits.max(1, keepdims=True))
        slope = shares / shares.sum(1, keepdims=True) - np.eye(10)[labels[rows]]
        weights -= options.lr * samples[rows].T @ slope / len(rows)
        biases -= options.lr * slope.mean(0)
    print(json.dumps({"clock": "stop"}))  # nor is evaluation
    right = (samples @ weights + biases).argmax(1) == labels
    accuracies = {"accuracy": right[1000:1400].mean(), "test_accuracy": right[1400:].mean()}
    print(json.dumps({"epoch": epoch, **accuracies}))
