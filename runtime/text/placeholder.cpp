namespace rubato {}
