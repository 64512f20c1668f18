// Four identities, each for one thing. Their roles are in rbac.bicep and mail.bicep.
@description('What the names of the identities begin with.')
param prefix string

@description('What the names of the identities end with.')
param resourceToken string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

// What the app runs as: its storage, telemetry, vault and mail, Git, and the workspace for reading.
module backupIdentity 'br/public:avm/res/managed-identity/user-assigned-identity:0.6.0' = {
  name: 'backup-identity'
  params: {
    name: '${prefix}backup-${resourceToken}'
    location: location
    tags: tags
  }
}

// What restores write to the workspace as. It has no role in Azure.
module restoreIdentity 'br/public:avm/res/managed-identity/user-assigned-identity:0.6.0' = {
  name: 'restore-identity'
  params: {
    name: '${prefix}restore-${resourceToken}'
    location: location
    tags: tags
  }
}

// What App Service Authentication proves itself with in place of a client secret. It has no role in Azure.
module signInIdentity 'br/public:avm/res/managed-identity/user-assigned-identity:0.6.0' = {
  name: 'sign-in-identity'
  params: {
    name: '${prefix}sign-in-${resourceToken}'
    location: location
    tags: tags
  }
}

// What the platform fetches the package with, and on Flex Consumption puts it in its place with. The app never uses it.
module deployIdentity 'br/public:avm/res/managed-identity/user-assigned-identity:0.6.0' = {
  name: 'deploy-identity'
  params: {
    name: '${prefix}deploy-${resourceToken}'
    location: location
    tags: tags
  }
}

output backupPrincipalId string = backupIdentity.outputs.principalId
output backupClientId string = backupIdentity.outputs.clientId
output backupResourceId string = backupIdentity.outputs.resourceId
output restoreClientId string = restoreIdentity.outputs.clientId
output restoreResourceId string = restoreIdentity.outputs.resourceId
output signInPrincipalId string = signInIdentity.outputs.principalId
output signInClientId string = signInIdentity.outputs.clientId
output signInResourceId string = signInIdentity.outputs.resourceId
output deployPrincipalId string = deployIdentity.outputs.principalId
output deployResourceId string = deployIdentity.outputs.resourceId
