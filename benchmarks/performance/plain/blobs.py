"""Batch sizes 1, 32 and all 800 points of three blobs with SGD and momentum, as one writes it in an afternoon.

python blobs.py SEED BATCH_SIZE ...
"""

import json
import sys

import keras
import matplotlib.pyplot as plt
from sklearn.datasets import make_blobs

seed, *sizes = map(int, sys.argv[1:])
x, y = make_blobs(n_samples=1000, centers=3, n_features=2, cluster_std=2, random_state=seed)
x_train, y_train, x_test, y_test = x[:800], y[:800], x[800:], y[800:]

found = {}
for size in sizes:
    model = keras.Sequential(
        [
            keras.layers.Input((2,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.01, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(x_train, y_train, epochs=100, batch_size=size, validation_data=(x_test, y_test), verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    found[size] = {"epochs": len(history.history["loss"]), "test_accuracy": accuracy}
    plt.figure()
    plt.plot(history.history["loss"], label="training")
    plt.plot(history.history["val_loss"], label="test")
    plt.xlabel("epoch")
    plt.ylabel("loss")
    plt.legend()
    plt.savefig(f"blobs-{size}-{seed}.png")
print(json.dumps(found))
