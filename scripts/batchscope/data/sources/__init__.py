"""Where examples come from: a folder per source here, and a line of `FOLDERS`. In the folder are

    keys.py  the keys of a data set, and what is known of it before it is made (`SOURCE`, a `keys.Dataset`)
    read.py  `read(dataset, seed, place)`, see `reading`

A study is read with the keys alone, and a data set is made without them.
"""

FOLDERS = {
    "digits": "digits",
    "blobs": "blobs",
    "random-labels": "random_labels",
    **dict.fromkeys(("mnist", "fashion-mnist", "cifar10"), "images"),
    "npz": "npz",
    "table": "table",
    "function": "function",
}
"""Every source, by the name that data sets use, and its folder."""
