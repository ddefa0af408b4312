"""The paper's experiment, small and on real data: a dense LLaVA against K experts trained apart.

==================  ==============================================================================================
``fetch.py``        the packages that ship images and weights, pinned, their digests checked
``sources.py``      what is in them: emoji in two styles, handwritten digits, shapes with their questions
``scenes.py``       canvases with known boxes, and the questions asked on them
``compose.py``      the data of a preset
``folders.py``      a data folder: JSON lines and PNG files, as ``ddfm check`` reads them; its shards
``words.py``        the tokenizer, one token a word, sixteen location tokens
``models.py``       LLaVA from Transformers' classes; start checkpoints
``dinov2.py``       a pretrained tower out of an ONNX file
``towers.py``       a frozen tower, run once an image
``training.py``     one expert or the dense model, resumable to the bit (``ddfm train``)
``identity.py``     what a training is made of, so that another's folder or state is refused
``encoders.py``     what images are clustered and routed by
``answering.py``    the partition's routing as a router of the bridge; greedy answers
``scoring.py``      VQA accuracy, MME's acc and acc+, grounding
``terms.py``        the terms of C12 and the bounds of C14, measured
``plan.py``         presets
``units.py``        units of work, each kept under a name made of all that it depends on
``evaluation.py``   what is measured on checkpoints
``experiment.py``   the run, every unit in a process of its own
``gathering.py``    one result of all seeds
``report.py``       tables out of the result; does a rerun lie in the intervals?
==================  ==============================================================================================
"""
