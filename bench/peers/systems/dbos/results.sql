SELECT output FROM dbos.workflow_output
