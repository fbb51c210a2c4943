"""Learned codecs for numeric agent states: train, export to TorchScript, verify, publish to Redis.

    source --sources--> Recording --train--> FeatureGroupedVAE --export--> ExportedCodec --publish--> Redis

Submodules are imported by name (`from model_export.train import train`), so that reading a configuration does
not load torch.
"""
