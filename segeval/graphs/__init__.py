"""A network as an ONNX graph: export, contract, precisions and noise floor."""
