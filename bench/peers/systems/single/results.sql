SELECT result FROM outcome
