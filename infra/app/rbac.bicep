// The role assignments, but the one for mail, which is in mail.bicep. docs/azure.md justifies each in a table.
@description('Account that holds the app\'s state.')
param stateAccountName string

@description('Account that holds the audit anchors.')
param anchorAccountName string

@description('Container of the audit anchors.')
param anchorContainerName string

@description('Account that holds the app\'s package, and nothing else.')
param packageAccountName string

@description('Container of the app\'s package.')
param packageContainerName string

@description('Vault of secrets.')
param vaultName string

@description('Application Insights component.')
param componentName string

@description('Principal id of the identity that the app runs as.')
param backupPrincipalId string

@description('Principal id of the identity that the platform fetches the package with.')
param deployPrincipalId string

@description('Whether the app is on Flex Consumption, where the platform puts the package in its place.')
param isFlex bool

@description('Whether the app writes secrets.')
param rotateSecrets bool

@description('Object id of whoever puts secrets and packages in place; empty where nobody does.')
param operatorPrincipalId string

@allowed([
  'Group'
  'ServicePrincipal'
  'User'
])
@description('What the operator is.')
param operatorPrincipalType string

// Built-in roles: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var blobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
var queueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
var tableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

var hasOperator = !empty(operatorPrincipalId)

resource stateAccount 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: stateAccountName
}

resource packageAccount 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: packageAccountName
}

resource packageContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = {
  name: '${packageAccountName}/default/${packageContainerName}'
}

resource anchorContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = {
  name: '${anchorAccountName}/default/${anchorContainerName}'
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource backupBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(stateAccount.id, backupPrincipalId, blobDataOwner)
  scope: stateAccount
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataOwner)
    principalId: backupPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource backupQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(stateAccount.id, backupPrincipalId, queueDataContributor)
  scope: stateAccount
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', queueDataContributor)
    principalId: backupPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource backupTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(stateAccount.id, backupPrincipalId, tableDataContributor)
  scope: stateAccount
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', tableDataContributor)
    principalId: backupPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource backupAnchors 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(anchorContainer.id, backupPrincipalId, blobDataContributor)
  scope: anchorContainer
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: backupPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource backupTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, backupPrincipalId, metricsPublisher)
  scope: component
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
    principalId: backupPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource backupSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, backupPrincipalId, secretsUser)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
    principalId: backupPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource backupRotation 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (rotateSecrets) {
  name: guid(vault.id, backupPrincipalId, secretsOfficer)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsOfficer)
    principalId: backupPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// Flex Consumption asks for this role on the account: its publishing endpoint writes the package as this identity.
resource deployPackages 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isFlex) {
  name: guid(packageAccount.id, deployPrincipalId, blobDataContributor)
  scope: packageAccount
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: deployPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// On Elastic Premium the operator writes the package, and the platform reads it.
resource deployReading 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!isFlex) {
  name: guid(packageAccount.id, deployPrincipalId, blobDataReader)
  scope: packageAccount
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataReader)
    principalId: deployPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource operatorSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (hasOperator) {
  name: guid(vault.id, operatorPrincipalId, secretsOfficer)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsOfficer)
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
  }
}

resource operatorPackages 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (hasOperator && !isFlex) {
  name: guid(packageContainer.id, operatorPrincipalId, blobDataContributor)
  scope: packageContainer
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
  }
}
