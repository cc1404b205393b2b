"""The renderer "lipsync": a mel-to-mouth ONNX file of the operator's moves the mouth of a portrait; it brings none."""
