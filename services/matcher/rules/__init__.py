"""The rules: whose the next money is. `index` names them, `protocol` says what each must do. Nothing here tells facts."""
