"""Updates of Keras' optimizers in TensorFlow's fused kernels: the same numbers in fewer operations.

Keras computes an update operation by operation, each of which costs about a microsecond and goes through the whole
array. The kernels here do the same arithmetic in the same order, so that weights are equal to the bit on a CPU; a GPU
may round a product and a sum once where Keras' operations round twice.

TensorFlow's Adam takes 1 - β in single precision, Keras' in double. Both are the same where β is a number of single
precision, as `engines.keras.optimizers` makes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from batchscope.training.engines.tensorflow.framework import keras, tf

Tensor = Any  # TensorFlow has no usable type stubs
Variable = Any  # of Keras
Step = Callable[[Any, Sequence[Tensor], Sequence[Variable], Tensor], None]


def use(optimizer: keras.optimizers.Optimizer) -> None:
    """Let a built optimizer update in fused kernels, if they compute its update; else leave it as it is.

    Only the step itself is replaced. Keras clips, decays and averages before and after it.
    """
    step = _STEPS.get(type(optimizer))
    single = all(variable.dtype == "float32" for variable in optimizer._trainable_variables)
    if step is not None and single and not getattr(optimizer, "amsgrad", False):
        optimizer._backend_update_step = functools.partial(step, optimizer)


def _sgd(optimizer: Any, gradients: Sequence[Tensor], variables: Sequence[Variable], rate: Tensor) -> None:
    rate = tf.convert_to_tensor(rate)
    for variable, gradient in zip(variables, gradients, strict=True):
        if not optimizer.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=_handle(variable), alpha=rate, delta=gradient)
            continue
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=_handle(variable),
            accum=_handle(optimizer.momentums[optimizer._get_variable_index(variable)]),
            lr=rate,
            grad=gradient,
            momentum=optimizer.momentum,
            use_nesterov=optimizer.nesterov,
        )


def _adam(optimizer: Any, gradients: Sequence[Tensor], variables: Sequence[Variable], rate: Tensor) -> None:
    step = tf.cast(optimizer.iterations + 1, tf.float32)
    powers = [tf.pow(tf.constant(beta), step) for beta in (optimizer.beta_1, optimizer.beta_2)]
    for variable, gradient in zip(variables, gradients, strict=True):
        index = optimizer._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(optimizer._momentums[index]),
            v=_handle(optimizer._velocities[index]),
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            epsilon=optimizer.epsilon,
            grad=gradient,
        )


def _handle(variable: Variable) -> Tensor:
    return variable.value.handle


_STEPS: dict[type, Step] = {keras.optimizers.SGD: _sgd, keras.optimizers.Adam: _adam, keras.optimizers.AdamW: _adam}
