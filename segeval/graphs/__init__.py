"""A network as an ONNX graph: its export, the contract it keeps, its precisions and its noise floor."""
