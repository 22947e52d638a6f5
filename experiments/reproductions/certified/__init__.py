"""01 networks trained to be certified, beside the models that they have to beat."""
