"""The recurrent unit in ONNX Runtime, with the same weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class OnnxUnit:
    """States after padded sequences. Its session computes with one thread, and may be called from several."""

    def __init__(
        self,
        input_weight: NDArray[np.float32],
        state_weight: NDArray[np.float32],
        input_bias: NDArray[np.float32],
        state_bias: NDArray[np.float32],
    ) -> None:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        num_units, num_features = state_weight.shape[1], input_weight.shape[1]
        weights = {
            "W": _reorder(input_weight)[None],
            "R": _reorder(state_weight)[None],
            "B": np.concatenate([_reorder(input_bias), _reorder(state_bias)])[None],
        }
        node = helper.make_node(
            "GRU", ["X", *weights, "lengths"], ["", "Y_h"], hidden_size=num_units, linear_before_reset=1, direction="forward"
        )
        graph = helper.make_graph(
            [node],
            "unit",
            [
                helper.make_tensor_value_info("X", TensorProto.FLOAT, ["T", "B", num_features]),
                helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"]),
            ],
            [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, [1, "B", num_units])],
            [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def __call__(self, padded: NDArray[np.float32], lengths: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32[T, B, F], int32[B] -> float32[B, D]"""
        states: NDArray[np.float32] = self._session.run(["Y_h"], {"X": padded, "lengths": lengths})[0][0]
        return states


def _reorder(of_gates: NDArray[np.float32]) -> NDArray[np.float32]:
    """ONNX has the update gate before the reset gate."""
    reset, update, new = np.split(of_gates, 3)
    return np.concatenate([update, reset, new])
