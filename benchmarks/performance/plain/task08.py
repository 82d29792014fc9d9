"""Batch sizes 8, 32 and 128 on Fashion-MNIST with Adam and early stopping, as one writes it in an afternoon.

python task08.py REPETITION BATCH_SIZE ...
"""

import json
import sys

import keras
import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

repetition, *sizes = map(int, sys.argv[1:])
(x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x, x_test = x / 255, x_test / 255
# The 5,000 images that the workflow holds out: on others, training stops some epochs earlier or later.
x_train, x_validation, y_train, y_validation = train_test_split(x, y, test_size=5000, stratify=y, random_state=0)

found = {}
for size in sizes:
    model = keras.Sequential(
        [
            keras.layers.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x_train,
        y_train,
        epochs=20,
        batch_size=size,
        validation_data=(x_validation, y_validation),
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
        verbose=0,
    )
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    found[size] = {"epochs": len(history.history["loss"]), "test_accuracy": accuracy}
    plt.plot(history.history["val_loss"], label=f"batch size {size}")
plt.xlabel("epoch")
plt.ylabel("validation loss")
plt.legend()
plt.savefig(f"task08-{repetition}.png")
print(json.dumps(found))
