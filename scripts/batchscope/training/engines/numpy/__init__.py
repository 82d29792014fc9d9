"""The reference engine: softmax regression in NumPy, every quantity from its formula, in double precision."""
